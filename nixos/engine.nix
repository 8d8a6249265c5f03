# The engine. When it stops, it cancels its orders and waits until the venue shows none; the stop is given the time.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  service = import ./lib/service.nix { inherit lib config; };
  isPaper = cfg.settings.account.network == "local";
  seconds = ms: builtins.ceil (ms / 1000.0);
in
{
  imports = [
    ./settings.nix
    ./host.nix
    ./secrets.nix
    ./watchdog.nix
  ];

  options.services.hlhft.engine = {
    enable = lib.mkEnableOption "the engine, which trades the markets of the settings";

    memoryMax = lib.mkOption {
      type = lib.types.str;
      default = "4G";
      description = "The most memory it may use; beyond it, it is killed, and the watchdog cancels for it.";
    };

    realtime = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Schedule it first in, first out; a loop that never sleeps then starves its CPU's kernel threads.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.engine.enable) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = cfg.settings.engine.coins != [ ];
            message = "services.hlhft.settings.engine.coins names no market: nothing is traded that is not named.";
          }
          {
            assertion = cfg.watchdog.enable;
            message = "services.hlhft.engine runs without services.hlhft.watchdog: nobody would cancel for an engine that died; enable it.";
          }
          {
            assertion = cfg.settings.batch.expires_after_ms > 0;
            message = "services.hlhft.settings.batch.expires_after_ms is 0: an order without expiry could never be proven dead.";
          }
          {
            assertion =
              cfg.settings.account.network != "mainnet"
              || cfg.settings.watchdog.remote_heartbeat != ""
              || cfg.settings.watchdog.schedule_cancel == "auto"
              || cfg.settings.engine.accept_host_loss_risk;
            message = "nothing covers the loss of this host on mainnet: name a second watchdog in settings.watchdog.remote_heartbeat, or accept it with settings.engine.accept_host_loss_risk.";
          }
          {
            assertion = !(cfg.engine.realtime && cfg.settings.engine.busy_poll);
            message = "services.hlhft.engine.realtime with settings.engine.busy_poll starves its CPU's kernel threads for ever; choose one.";
          }
          {
            assertion = !cfg.engine.realtime || cfg.host.cpus.assigned ? hlhft-engine;
            message = "services.hlhft.engine.realtime needs a CPU of its own: assign hlhft-engine one in host.cpus.assigned.";
          }
        ];

        services.hlhft.secrets.units.hlhft-engine = [
          "agent-key"
          "heartbeat-secret"
        ]
        ++ lib.optional cfg.settings.alpha.enabled "alpha-engine-key";
      }
      (service {
        name = "engine";
        description = "the engine";
        command = "run --config /etc/hlhft/settings.toml";
        memory = cfg.engine.memoryMax;
        writes = [ cfg.settings.metrics.folder ];
        relaxations = [
          "network"
          "jit"
          "affinity"
          # The journal names the processor, and a replay elsewhere refuses another one.
          "host"
        ]
        ++ lib.optional cfg.engine.realtime "realtime";
        environment = {
          HLHFT__WATCHDOG__SECRET_FILE = "/run/credentials/hlhft-engine.service/heartbeat-secret";
          OMP_NUM_THREADS = "1";
          NUMBA_NUM_THREADS = "1";
        }
        // lib.optionalAttrs cfg.settings.alpha.enabled {
          HLHFT__ALPHA__KEY_FILE = "/run/credentials/hlhft-engine.service/alpha-engine-key";
        };
        unit = {
          # A clock that is a second off is refused with exit code 2, after which it is not started again.
          wants = [
            "hlhft-watchdog.service"
            "time-sync.target"
          ];
          after = [
            "hlhft-watchdog.service"
            "time-sync.target"
          ]
          ++ lib.optional isPaper "hlhft-exchange.service";
          restartTriggers = [ cfg.settingsFile ];
        };
        serviceConfig = {
          # Its own compiled code, which nobody else writes: numba runs what it finds there.
          CacheDirectory = "hlhft-engine";
          CacheDirectoryMode = "0700";
          StateDirectory = [
            "hlhft-engine"
            "hlhft-journal"
          ];
          RuntimeDirectory = "hlhft-engine";
          RuntimeDirectoryMode = "0700";
          # The first start compiles; afterwards the code is in the cache.
          TimeoutStartSec = 600;
          # SIGTERM: it closes the gate, cancels, and proves that none is left, within stop_ms_max; then ten seconds more.
          KillMode = "mixed";
          KillSignal = "SIGTERM";
          TimeoutStopSec = seconds cfg.settings.engine.stop_ms_max + 10;
          # 4: it ended halted, with nothing left at the venue.
          SuccessExitStatus = 4;
          LimitMEMLOCK = "infinity";
          LimitNOFILE = 65536;
          OOMScoreAdjust = -900;
        };
      })
    ]
  );
}
