# A backup, each night, of what cannot be made again: journal, manifests of the catalogue, models. The engine's state is
# none of it, as it is true of one moment only. An engine that finds a journal that knows more than its state, or a state
# that somebody copied, starts HALTED: the venue has moved on since.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
in
{
  imports = [
    ./settings.nix
    ./secrets.nix
  ];

  options.services.hlhft.backup = {
    enable = lib.mkEnableOption "a nightly backup with restic";

    repository = lib.mkOption {
      type = lib.types.str;
      default = "";
      example = "sftp:backup@203.0.113.9:/hlhft";
      description = "Where to, as restic writes it; what is there is encrypted with the secret restic-password.";
    };

    models = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "/var/lib/hlhft-alpha" ];
      description = "Folders of models to keep as well.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.backup.enable) {
    assertions = [
      {
        assertion = cfg.backup.repository != "";
        message = "services.hlhft.backup.repository is not set: say where the backup goes.";
      }
      {
        assertion = !(lib.hasPrefix "/" cfg.backup.repository);
        message = "services.hlhft.backup.repository is ${cfg.backup.repository}, on this host, with which it would be lost; name another.";
      }
    ];

    services.hlhft.secrets.host = [ "restic-password" ];
    services.restic.backups.hlhft = {
      inherit (cfg.backup) repository;
      passwordFile = "${cfg.secrets.folder}/restic-password";
      initialize = true;
      # The command restic-hlhft, with which root looks into it and restores.
      createWrapper = true;
      paths = [
        cfg.settings.engine.journal_folder
      ]
      # Nobody else makes that folder, and restic minds what is not there.
      ++ lib.optional (
        cfg.recorder.enable or false || cfg.miner.enable or false
      ) cfg.settings.data.catalogue
      ++ cfg.backup.models;
      # Of the catalogue the manifests, by which what they name can be fetched again; not the data.
      exclude = [
        "${cfg.settings.data.catalogue}/**/*.parquet"
        "${cfg.settings.data.catalogue}/raw"
      ];
      timerConfig = {
        OnCalendar = "*-*-* 02:10:00 UTC";
        RandomizedDelaySec = 900;
      };
      pruneOpts = [
        "--keep-daily 14"
        "--keep-weekly 8"
        "--keep-monthly 12"
      ];
    };
  };
}
