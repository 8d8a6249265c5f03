# The host as it is tuned and closed: parameters, processors, interrupts and sysctls in force, and what answers to whom. What
# trades is tested elsewhere; here the units, with all their limits, run a program that only keeps processors busy.
{
  self,
  lib,
  pkgs,
  checking,
}:
let
  peers = import ./wireguard.nix;
  busy = threads: lib.mkForce "${lib.getExe pkgs.python3} ${./busy.py} ${toString threads}";
in
{
  name = "hlhft-host";

  nodes.trader =
    { config, ... }:
    {
      imports = [
        self.nixosModules.default
        self.nixosModules.low-latency
        self.nixosModules.server
        ./secrets-for-tests.nix
      ];
      virtualisation = {
        cores = 6;
        memorySize = 3072;
      };
      # The driver's own network, without names of the world's time servers.
      services.hlhft.network.enable = false;
      users.mutableUsers = true;

      services.hlhft = {
        host = {
          cpus = {
            count = 6;
            exclusive = "1-2";
            quiet = "3-5";
            assigned = {
              hlhft-engine = "1";
              hlhft-watchdog = "2";
              hlhft-recorder = "3-5";
            };
          };
          irq = {
            enable = true;
            interface = "eth1";
          };
        };
        wireguard.peers.operator = {
          inherit (peers.operator) publicKey address;
          isAdmin = true;
        };
        engine.enable = true;
        watchdog.enable = true;
        recorder.enable = true;
        exporter.enable = true;
        prometheus.enable = true;
        grafana.enable = true;
        settings = {
          account.network = "testnet";
          engine.coins = [ "BTC" ];
          recorder.coins = [ "BTC" ];
        };
      };

      systemd.services = {
        hlhft-engine.serviceConfig.ExecStart = busy 3;
        hlhft-watchdog.serviceConfig.ExecStart = busy 1;
        hlhft-recorder.serviceConfig.ExecStart = busy 3;
        hlhft-exporter.serviceConfig.ExecStart = busy 0;
        # Heard by everybody, if it were not for the firewall.
        careless = {
          description = "A server that somebody forgot on all addresses";
          wantedBy = [ "multi-user.target" ];
          serviceConfig.ExecStart = "${lib.getExe pkgs.python3} -m http.server --directory /var/empty 8000";
        };
        # What no option of ours gives: several exclusive CPUs.
        spreading = {
          description = "Threads that could spread, if anybody balanced them";
          wantedBy = [ "multi-user.target" ];
          serviceConfig = {
            ExecStart = "${lib.getExe pkgs.python3} ${./busy.py} 3";
            CPUAffinity = config.services.hlhft.host.cpus.exclusive;
          };
        };
      };
    };

  nodes.operator = {
    imports = [ ./operator.nix ];
    environment.systemPackages = [ pkgs.curl ];
  };

  testScript =
    { nodes, ... }:
    checking "host" [ "trader" "operator" ] {
      inherit (nodes.trader.services.hlhft.host) cpus;
      inherit (nodes.trader.services.hlhft.host.irq) interface;
      inherit (nodes.trader.services.hlhft) ports;
      inherit (peers.trader) address;
      uplink = nodes.trader.networking.primaryIPAddress;
      parameters = nodes.trader.boot.kernelParams;
    };
}
