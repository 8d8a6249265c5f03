# A backup, each night, of what cannot be made again: journal, manifests of the catalogue, models. Whoever restores a
# state finds the engine HALTED, as the venue has moved on since.
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
      paths = [
        cfg.settings.engine.journal_folder
        cfg.settings.data.catalogue
      ]
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
