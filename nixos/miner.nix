# The miner: fetches days of the venue's archives into the catalogue, at night. It costs money, so it has a budget of days.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  service = import ./lib/service.nix { inherit lib config; };
in
{
  imports = [
    ./settings.nix
    ./host.nix
    ./secrets.nix
  ];

  options.services.hlhft.miner = {
    enable = lib.mkEnableOption "the miner, which fetches the venue's archives; whoever reads them pays AWS";

    coins = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "Markets to fetch, by the venue's names.";
    };

    startDate = lib.mkOption {
      type = lib.types.strMatching "[0-9]{4}-[0-9]{2}-[0-9]{2}";
      description = "First day, in UTC.";
    };

    endDate = lib.mkOption {
      type = lib.types.strMatching "[0-9]{4}-[0-9]{2}-[0-9]{2}";
      description = "Last day, included; what is there already is not fetched again.";
    };

    acceptCosts = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether the transfer that AWS bills is paid without asking; `hlhft mine --plan` says what it is.";
    };

    at = lib.mkOption {
      type = lib.types.str;
      default = "*-*-* 03:30:00 UTC";
      description = "When, as systemd.time(7) writes it.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.miner.enable) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = cfg.miner.acceptCosts;
            message = "services.hlhft.miner spends money at every run: look at hlhft mine --plan, then set miner.acceptCosts.";
          }
          {
            assertion = cfg.miner.coins != [ ];
            message = "services.hlhft.miner.coins names no market to fetch.";
          }
          {
            assertion = cfg.miner.coins == [ ] || cfg.miner.startDate <= cfg.miner.endDate;
            message = "services.hlhft.miner.endDate lies before startDate.";
          }
        ];

        services.hlhft.secrets.units.hlhft-miner = [ "aws-credentials" ];
        systemd.tmpfiles.rules = [ "d /var/lib/hlhft-catalogue 2770 root hlhft -" ];
        systemd.timers.hlhft-miner = {
          description = "hlhft, nightly mining";
          wantedBy = [ "timers.target" ];
          timerConfig = {
            OnCalendar = cfg.miner.at;
            RandomizedDelaySec = 600;
            Persistent = true;
          };
        };
        systemd.services.hlhft-miner.wantedBy = lib.mkForce [ ];
      }
      (service {
        name = "miner";
        description = "the miner of archives";
        command = lib.escapeShellArgs (
          [
            "mine"
            "--config"
            "/etc/hlhft/settings.toml"
            "--start-date"
            cfg.miner.startDate
            "--end-date"
            cfg.miner.endDate
            "--yes"
            "--coins"
          ]
          ++ cfg.miner.coins
        );
        memory = "4G";
        notifies = false;
        writes = [ cfg.settings.data.catalogue ];
        relaxations = [
          "network"
          "jit"
        ];
        environment.AWS_SHARED_CREDENTIALS_FILE = "/run/credentials/hlhft-miner.service/aws-credentials";
        serviceConfig = {
          Type = "oneshot";
          Restart = "no";
          CacheDirectory = "hlhft-miner";
          CacheDirectoryMode = "0700";
          UMask = "0027";
          CPUWeight = 10;
          IOWeight = 10;
        };
      })
    ]
  );
}
