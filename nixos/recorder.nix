# The recorder: the venue's public streams into the catalogue.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  service = import ./lib/service.nix { inherit lib config; };
in
{
  imports = [
    ./settings.nix
    ./host.nix
  ];

  options.services.hlhft.recorder = {
    enable = lib.mkEnableOption "the recorder, which writes the venue's public streams into the catalogue";

    memoryMax = lib.mkOption {
      type = lib.types.str;
      default = "2G";
      description = "The most memory it may use.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.recorder.enable) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = cfg.settings.recorder.coins != [ ];
            message = "services.hlhft.settings.recorder.coins names no market to record.";
          }
          {
            assertion = cfg.settings.limits.share.recorder_percent > 0;
            message = "services.hlhft.settings.limits.share.recorder_percent is 0: the recorder could ask nothing; give it a share.";
          }
        ];

        services.hlhft.settings.recorder.raw_folder = lib.mkDefault "/var/lib/hlhft-catalogue/raw";
        # The group reads the catalogue; only the recorder and the miner write it.
        systemd.tmpfiles.rules = [ "d /var/lib/hlhft-catalogue 2770 root hlhft -" ];
      }
      (service {
        name = "recorder";
        description = "the recorder of market data";
        command = "record --config /etc/hlhft/settings.toml";
        memory = cfg.recorder.memoryMax;
        writes = [
          cfg.settings.metrics.folder
          cfg.settings.data.catalogue
        ];
        notifies = false;
        relaxations = [
          "network"
          "jit"
        ];
        unit.restartTriggers = [ cfg.settingsFile ];
        serviceConfig = {
          CacheDirectory = "hlhft-recorder";
          CacheDirectoryMode = "0700";
          UMask = "0027";
          TimeoutStopSec = 60;
        };
      })
    ]
  );
}
