# The alpha process: turns the engine's rows into signals. It runs as a user of its own and talks to the engine over
# loopback, encrypted; it may die at any time.
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.services.hlhft;
  service = import ./lib/service.nix { inherit lib config; };
  loopback = port: lib.mkDefault "tcp://127.0.0.1:${toString port}";
in
{
  imports = [
    ./settings.nix
    ./host.nix
    ./secrets.nix
  ];

  options.services.hlhft.alpha = {
    enable = lib.mkEnableOption "the alpha process, which tells the engine what a model makes of the books";

    model = lib.mkOption {
      type = lib.types.str;
      default = "/var/lib/hlhft-alpha/model";
      description = "The model's folder, or a link to it that is followed when it changes.";
    };

    enginePublicKey = lib.mkOption {
      type = lib.types.strMatching ".{40}|";
      default = "";
      description = "The engine's public key, as `hlhft alpha --make-key` shows it; the alpha process's own is settings.alpha.peer_key.";
    };

    gpu = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Compute on the NVIDIA GPU: installs its driver, and lets this one service see its devices.";
    };

    memoryMax = lib.mkOption {
      type = lib.types.str;
      default = "8G";
      description = "The most memory it may use.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.alpha.enable) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = cfg.settings.alpha.enabled;
            message = "services.hlhft.alpha runs and settings.alpha.enabled is false: the engine would not listen; set it.";
          }
          {
            assertion = cfg.settings.alpha.peer_key != "" && cfg.alpha.enginePublicKey != "";
            message = "services.hlhft.alpha: the public keys are missing; make two pairs with hlhft alpha --make-key and set settings.alpha.peer_key and alpha.enginePublicKey.";
          }
          {
            assertion =
              cfg.settings.alpha.peer_key == "" || cfg.settings.alpha.peer_key != cfg.alpha.enginePublicKey;
            message = "services.hlhft.alpha: engine and alpha process have the same key; each needs its own.";
          }
        ];

        services.hlhft.secrets.units.hlhft-alpha = [ "alpha-key" ];
        services.hlhft.settings.alpha = {
          features = loopback cfg.ports.ALPHA_FEATURES;
          snapshot = loopback cfg.ports.ALPHA_SNAPSHOT;
          signals = loopback cfg.ports.ALPHA_SIGNALS;
        };
      }
      (service {
        name = "alpha";
        description = "the alpha process";
        package = cfg.researchPackage;
        command = lib.escapeShellArgs (
          [
            "alpha"
            "--config"
            "/etc/hlhft/settings.toml"
            "--model"
            cfg.alpha.model
            "--key-file"
            "/run/credentials/hlhft-alpha.service/alpha-key"
            "--peer-key"
            cfg.alpha.enginePublicKey
          ]
          ++ lib.optionals cfg.alpha.gpu [
            "--engine"
            "torch"
            "--device"
            "cuda"
          ]
        );
        memory = cfg.alpha.memoryMax;
        writes = [ cfg.settings.metrics.folder ];
        notifies = false;
        relaxations = [
          "loopback"
          "jit"
        ]
        ++ lib.optional cfg.alpha.gpu "gpu";
        unit.restartTriggers = [ cfg.settingsFile ];
        serviceConfig = {
          CacheDirectory = "hlhft-alpha";
          CacheDirectoryMode = "0700";
          Restart = "always";
        };
      })
      (lib.mkIf cfg.alpha.gpu {
        nixpkgs.config.allowUnfree = true;
        hardware.nvidia.open = lib.mkDefault true;
        hardware.graphics.enable = true;
      })
      # It chooses the driver; no X server is started by it.
      (lib.optionalAttrs (options.services ? xserver) {
        services.xserver.videoDrivers = lib.mkIf cfg.alpha.gpu [ "nvidia" ];
      })
    ]
  );
}
