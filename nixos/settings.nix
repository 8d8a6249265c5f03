# The settings that every process of hlhft reads: the program's own file, every key of it typed as the program types it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hlhft;
  generated = lib.importJSON ./schema.json;
  format = pkgs.formats.toml { };
  withoutNull = lib.filterAttrsRecursive (_: value: value != null);
in
{
  imports = [ ./package.nix ];

  options.services.hlhft = {
    settings = import ./lib/schema.nix {
      inherit lib;
      inherit (generated) schema;
    };

    settingsFile = lib.mkOption {
      type = lib.types.path;
      readOnly = true;
      default = format.generate "hlhft.toml" (withoutNull cfg.settings);
      defaultText = lib.literalExpression "the settings as TOML";
      description = "The file that every process reads; each setting is in it, also those that nobody changed.";
    };

    ports = lib.mkOption {
      type = lib.types.attrsOf lib.types.port;
      readOnly = true;
      default = generated.ports;
      description = "Every port of hlhft by its name, as the program has them.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.settings.account.network != "mainnet" || cfg.settings.account.address != "";
        message = "services.hlhft.settings.account.address is not set: on mainnet, say whose orders they are.";
      }
      {
        assertion =
          cfg.settings.account.key_file == ""
          && cfg.settings.watchdog.key_file == ""
          && cfg.settings.watchdog.secret_file == "";
        message = "services.hlhft.settings names the file of a key: leave key_file and secret_file out, keys reach each unit through services.hlhft.secrets.";
      }
      {
        assertion =
          let
            share = cfg.settings.limits.share;
          in
          share.engine_percent + share.watchdog_percent + share.recorder_percent + share.tools_percent <= 100;
        message = "services.hlhft.settings.limits.share: the shares are more than 100 percent together; lower one.";
      }
    ];

    environment.etc."hlhft/settings.toml".source = cfg.settingsFile;

    # One group for what processes show each other: heartbeats, and blocks of numbers. Keys and states are their users'.
    users.groups.hlhft = { };
    services.hlhft.settings = {
      engine.state_folder = "/var/lib/hlhft-engine";
      # Beside the state, which nobody else may enter: a file system of its own can stand there, and is seen to fill.
      engine.journal_folder = "/var/lib/hlhft-journal";
      engine.control_socket = "/run/hlhft-engine/control.sock";
      metrics.folder = "/run/hlhft-metrics";
      data.catalogue = lib.mkDefault "/var/lib/hlhft-catalogue";
    };
    # Whoever is of the group makes files there, nobody removes another's, and the exporter may read them all.
    systemd.tmpfiles.rules = [ "d /run/hlhft-metrics 3770 root hlhft -" ];
  };
}
