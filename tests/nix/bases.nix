# Accepted configurations that bad ones change in one thing: the three hosts, paper trading, and a host with everything on.
{ self, lib }:
let
  inherit (self.nixosConfigurations) example watchtower worker;
in
rec {
  inherit example watchtower worker;

  # Limits of its own.
  tightened = example.extendModules {
    modules = [ { services.hlhft.settings.risk.tick_to_trade_ms_max = 100; } ];
  };

  paper = lib.nixosSystem {
    modules = [
      self.nixosModules.default
      self.nixosModules.vm-test
      {
        nixpkgs.hostPlatform = "x86_64-linux";
        boot.loader.grub.device = "/dev/vda";
        fileSystems."/" = {
          device = "/dev/vda1";
          fsType = "ext4";
        };
      }
    ];
  };

  # Paper trading that is also watched and backed up: what is booted and traded on, with Prometheus where it would be
  # reached.
  rehearsal = paper.extendModules {
    modules = [
      {
        services.hlhft = {
          # Close to the touch, so that something is traded within a minute.
          settings = {
            engine.coins = [
              "BTC"
              "ETH"
              "SOL"
            ];
            recorder = {
              coins = [ "BTC" ];
              base_url = paper.config.services.hlhft.settings.account.base_url;
            };
            strategy = {
              name = "two_sided";
              params.half_spread_bp = 0.5;
            };
          };
          prometheus.enable = true;
          alertmanager.enable = true;
          recorder.enable = true;
          backup = {
            enable = true;
            repository = "sftp:backup@203.0.113.9:/hlhft";
          };
          wireguard = {
            enable = true;
            peers.operator = {
              publicKey = "operator0000000000000000000000000000000000A=";
              address = "10.100.0.9";
              isAdmin = true;
            };
          };
        };
      }
    ];
  };

  full = example.extendModules {
    modules = [
      {
        services.hlhft = {
          alpha = {
            enable = true;
            enginePublicKey = "engine00000000000000000000000000000000ab";
          };
          settings.alpha = {
            enabled = true;
            peer_key = "alpha000000000000000000000000000000000ab";
          };
          miner = {
            enable = true;
            acceptCosts = true;
            coins = [ "BTC" ];
            startDate = "2026-04-01";
            endDate = "2026-04-02";
          };
          node = {
            enable = true;
            visor = "/var/lib/hlhft-node/hl-visor";
            signingKey = ./node-key.asc;
            device = "/dev/disk/by-label/node";
          };
          backup = {
            enable = true;
            repository = "sftp:backup@203.0.113.9:/hlhft";
          };
          host.cpus.assigned.hlhft-node = "10-15";
        };
      }
    ];
  };
}
