# Prometheus, on the WireGuard address alone. Its configuration and rules are the text that `hlhft alerts` writes, as it
# lies in files/prometheus: what is checked there is what runs here. A host with limits of its own gets rules of its own,
# written and checked by the same programs when it is built.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  cfg = config.services.hlhft;
  hardening = import ./lib/hardening.nix { inherit lib; };
  written = lib.importJSON ./files/prometheus/prometheus.json;
  toTargets =
    job:
    job
    // lib.optionalAttrs (cfg.prometheus.targets != [ ]) {
      static_configs = [ { inherit (cfg.prometheus) targets; } ];
    };
  configuration =
    if cfg.prometheus.targets == [ ] && cfg.prometheus.host == null then
      builtins.readFile ./files/prometheus/prometheus.json
    else
      builtins.toJSON (
        written
        // {
          scrape_configs = map toTargets written.scrape_configs;
        }
        // lib.optionalAttrs (cfg.prometheus.host != null) {
          global = written.global // {
            external_labels = { inherit (cfg.prometheus) host; };
          };
        }
      );

  # The settings that the rules read; a test holds the list complete.
  limits = [
    "engine.clock_offset_ms_max"
    "engine.reconcile_ms"
    "journal.segment_mib"
    "journal.sync_ms"
    "risk.rejection_window_ms"
    "risk.rejections_max"
    "risk.tick_to_trade_ms_max"
    "risk.unknown_age_ms_max"
  ];
  at = place: lib.getAttrFromPath (lib.splitString "." place);
  isDefault = place: at place cfg.settings == (at place options.services.hlhft.settings).default;
  hasOwnLimits = !(lib.all isDefault limits);
  ownRules = pkgs.runCommand "hlhft-alerts" {
    nativeBuildInputs = [
      cfg.package
      (pkgs.prometheus.cli or pkgs.prometheus)
    ];
  } "bash ${./files/alerts.sh} ${cfg.settingsFile} $out";
in
{
  imports = [
    ./settings.nix
    ./wireguard.nix
  ];

  options.services.hlhft.prometheus = {
    enable = lib.mkEnableOption "Prometheus, which scrapes every second and evaluates the alerts";

    targets = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "10.100.0.2:PORT" ];
      description = "Exporters to scrape, host:port; empty: this host's.";
    };

    host = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      description = "What this Prometheus calls itself to others; null: as the written text has it.";
    };

    retention = lib.mkOption {
      type = lib.types.strMatching "[0-9]+(d|w|y)";
      default = "90d";
      description = "How long numbers are kept.";
    };

    sizeMax = lib.mkOption {
      type = lib.types.strMatching "[0-9]+(MB|GB)";
      default = "20GB";
      description = "How much disk they may take; beyond it the oldest go first.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.prometheus.enable) {
    assertions = [
      {
        assertion = cfg.wireguard.enable;
        message = "services.hlhft.prometheus listens on the WireGuard address: enable services.hlhft.wireguard.";
      }
      {
        assertion = cfg.prometheus.targets != [ ] || (cfg.exporter.enable or false);
        message = "services.hlhft.prometheus has nothing to scrape: enable services.hlhft.exporter, or name exporters in prometheus.targets.";
      }
      {
        assertion =
          cfg.prometheus.targets != [ ]
          || (cfg.settings.metrics.address == "127.0.0.1" && cfg.settings.metrics.port == cfg.ports.EXPORTER);
        message = "services.hlhft.settings.metrics is not where the written configuration scrapes: name the exporter in prometheus.targets.";
      }
    ];

    environment.etc = {
      "hlhft/prometheus/prometheus.json".text = configuration;
      "hlhft/prometheus/hlhft.rules.json" =
        if hasOwnLimits then
          { source = "${ownRules}/hlhft.rules.json"; }
        else
          { text = builtins.readFile ./files/prometheus/hlhft.rules.json; };
    };

    systemd.services.prometheus = {
      description = "Prometheus, with what hlhft alerts writes";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      restartTriggers = [
        configuration
        (if hasOwnLimits then ownRules else builtins.readFile ./files/prometheus/hlhft.rules.json)
      ];
      serviceConfig = hardening.of [ hardening.relaxations.loopback ] // {
        ExecStart = lib.concatStringsSep " " [
          (lib.getExe' pkgs.prometheus "prometheus")
          "--config.file=/etc/hlhft/prometheus/prometheus.json"
          "--storage.tsdb.path=/var/lib/prometheus"
          "--storage.tsdb.retention.time=${cfg.prometheus.retention}"
          "--storage.tsdb.retention.size=${cfg.prometheus.sizeMax}"
          "--web.listen-address=${cfg.wireguard.address}:${toString cfg.ports.PROMETHEUS}"
        ];
        DynamicUser = true;
        StateDirectory = "prometheus";
        StateDirectoryMode = "0700";
        IPAddressAllow = [
          "localhost"
          cfg.wireguard.network
        ];
        Restart = "always";
        RestartSec = 1;
        MemoryMax = "4G";
      };
    };

    networking.firewall.interfaces.wg0.allowedTCPPorts = [ cfg.ports.PROMETHEUS ];
  };
}
