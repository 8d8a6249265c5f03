# The exporter: shows Prometheus the numbers of all processes of this host.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  service = import ./lib/service.nix { inherit lib config; };
  address = cfg.settings.metrics.address;
in
{
  imports = [
    ./settings.nix
    ./host.nix
  ];

  options.services.hlhft.exporter = {
    enable = lib.mkEnableOption "the exporter, which shows Prometheus the numbers of this host's processes";

    memoryMax = lib.mkOption {
      type = lib.types.str;
      default = "256M";
      description = "The most memory it may use.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.exporter.enable) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = cfg.settings.metrics.port != 0;
            message = "services.hlhft.settings.metrics.port is 0: Prometheus could not know where to ask; leave it out.";
          }
        ];

        services.hlhft.settings.metrics.processes =
          lib.optional (cfg.engine.enable or false) "engine"
          ++ lib.optional (cfg.watchdog.enable or false) "watchdog"
          ++ lib.optional (cfg.alpha.enable or false) "alpha"
          ++ lib.optional (cfg.recorder.enable or false) "recorder";
      }
      (service {
        name = "exporter";
        description = "the exporter of metrics";
        command = "exporter --config /etc/hlhft/settings.toml";
        memory = cfg.exporter.memoryMax;
        relaxations = [
          "loopback"
          "host"
        ];
        unit.restartTriggers = [ cfg.settingsFile ];
        serviceConfig = {
          # Loopback, and over WireGuard whoever is a peer, where it shows itself there.
          IPAddressAllow = [
            "localhost"
          ]
          ++ lib.optional (cfg.wireguard.enable or false) cfg.wireguard.network;
          Restart = "always";
        };
      })
      (lib.mkIf (!(lib.hasPrefix "127." address)) {
        assertions = [
          {
            assertion = (cfg.wireguard.enable or false) && address == cfg.wireguard.address;
            message = "services.hlhft.settings.metrics.address is ${address}: metrics are shown on loopback or on this host's WireGuard address only.";
          }
        ];
      })
    ]
  );
}
