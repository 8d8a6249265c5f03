# The watchdog: cancels for an engine that is gone. A switch never restarts it beside the engine: it stays as it is until
# the engine is up again, and only then is it renewed.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hlhft;
  service = import ./lib/service.nix { inherit lib config; };
  generation = builtins.hashString "sha256" "${cfg.package} ${cfg.settingsFile}";
in
{
  imports = [
    ./settings.nix
    ./host.nix
    ./secrets.nix
  ];

  options.services.hlhft.watchdog = {
    enable = lib.mkEnableOption "the watchdog, which cancels for an engine that is gone";

    memoryMax = lib.mkOption {
      type = lib.types.str;
      default = "512M";
      description = "The most memory it may use.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.watchdog.enable) (
    lib.mkMerge [
      {
        services.hlhft.settings.watchdog.heartbeat = lib.mkDefault "/run/hlhft-watchdog/heartbeat.sock";
        services.hlhft.secrets.units.hlhft-watchdog = [
          "watchdog-key"
          "heartbeat-secret"
        ];

        systemd.services.hlhft-watchdog.restartIfChanged = false;
        # Ordered after the engine, so the new engine is ready before the watchdog goes for a moment.
        systemd.services.hlhft-watchdog-renewal = {
          description = "hlhft, renewal of the watchdog after the engine's";
          wantedBy = [ "multi-user.target" ];
          after = [
            "hlhft-engine.service"
            "hlhft-watchdog.service"
          ];
          path = [ pkgs.systemd ];
          restartTriggers = [ generation ];
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
            ExecStart = "${lib.getExe pkgs.python3} ${./files/renewal.py} hlhft-watchdog.service ${generation}";
            # Root, as it asks the manager and reads what a process was started with; the rest is closed to it.
            CapabilityBoundingSet = [
              "CAP_SYS_PTRACE"
              "CAP_DAC_READ_SEARCH"
            ];
            NoNewPrivileges = true;
            ProtectSystem = "strict";
            ProtectHome = true;
            PrivateTmp = true;
            PrivateDevices = true;
            PrivateNetwork = true;
            RestrictAddressFamilies = [ "AF_UNIX" ];
            RestrictNamespaces = true;
            MemoryDenyWriteExecute = true;
            SystemCallFilter = [ "@system-service" ];
            SystemCallArchitectures = "native";
          };
        };
      }
      (service {
        name = "watchdog";
        description = "the watchdog";
        command = "watchdog --config /etc/hlhft/settings.toml";
        memory = cfg.watchdog.memoryMax;
        writes = [ cfg.settings.metrics.folder ];
        relaxations = [ "network" ];
        environment = {
          HLHFT__WATCHDOG__SECRET_FILE = "/run/credentials/hlhft-watchdog.service/heartbeat-secret";
          HLHFT_GENERATION = generation;
        };
        # However often it fails, it is started again, and at once.
        unit.startLimitIntervalSec = 0;
        patient = false;
        serviceConfig = {
          # The engine's group may beat; the socket is all that is in there.
          RuntimeDirectory = "hlhft-watchdog";
          RuntimeDirectoryMode = "0750";
          Restart = "always";
          OOMScoreAdjust = -950;
          TimeoutStopSec = 30;
        };
      })
    ]
  );
}
