# Keys as files that systemd hands to the one unit that needs them. Where sops-nix is imported and an encrypted file is
# named, it is decrypted at boot; else a folder holds the files, root's only. No key is ever in the store.
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.services.hlhft.secrets;
  needed = lib.unique (cfg.host ++ lib.concatLists (lib.attrValues cfg.units));
  hasSops = options ? sops;
in
{
  imports = [ ./package.nix ];

  options.services.hlhft.secrets = {
    folder = lib.mkOption {
      type = lib.types.str;
      default = "/run/secrets";
      description = "Folder on the host that holds each secret as a file of its name, readable by root only.";
    };

    sopsFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "The encrypted file that sops-nix decrypts into the folder at boot; null: the files are put there.";
    };

    host = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "Names of secrets that root itself reads where they are, as WireGuard's key.";
    };

    needed = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      readOnly = true;
      default = needed;
      defaultText = lib.literalExpression "what host and units name";
      description = "Names of all secrets of this host.";
    };

    units = lib.mkOption {
      type = lib.types.attrsOf (lib.types.listOf lib.types.str);
      default = { };
      description = "Names of secrets by the unit that is given them; each service's module says what it needs.";
    };
  };

  config = lib.mkMerge [
    {
      assertions = [
        {
          assertion = !(lib.hasPrefix "/nix/store" cfg.folder) && lib.hasPrefix "/" cfg.folder;
          message = "services.hlhft.secrets.folder is ${cfg.folder}: name an absolute path outside the store, which everybody reads.";
        }
        {
          assertion = needed == [ ] || cfg.sopsFile != null || cfg.folder != "/run/secrets";
          message = "services.hlhft.secrets: ${lib.concatStringsSep ", " needed} come from nowhere; name the encrypted file in sopsFile, or in folder where they are put.";
        }
        {
          assertion = cfg.sopsFile == null || hasSops;
          message = "services.hlhft.secrets.sopsFile is set and sops-nix is not imported: import it, or put the files into secrets.folder.";
        }
        {
          assertion = cfg.sopsFile == null || cfg.folder == "/run/secrets";
          message = "services.hlhft.secrets: sopsFile and folder are both set; sops-nix decrypts into /run/secrets.";
        }
      ];

      # However the files came there, nobody else looks at them.
      systemd.tmpfiles.rules = lib.optionals (needed != [ ] && cfg.folder != "/run/secrets") [
        "z ${cfg.folder} 0700 root root -"
        "z ${cfg.folder}/* 0400 root root -"
      ];

      systemd.services = lib.mapAttrs (_: names: {
        serviceConfig.LoadCredential = map (name: "${name}:${cfg.folder}/${name}") names;
      }) cfg.units;
    }
    (lib.optionalAttrs hasSops {
      sops = lib.mkIf (cfg.sopsFile != null) {
        defaultSopsFile = cfg.sopsFile;
        defaultSopsFormat = if lib.hasSuffix ".json" (toString cfg.sopsFile) then "json" else "yaml";
        # A key of its own, which is there before the first boot, and not the host's SSH key: each can be renewed alone, and
        # sops itself reads it, as an operator and the tests do, without another program to convert it.
        age.keyFile = "/var/lib/sops-nix/key.txt";
        age.sshKeyPaths = [ ];
        gnupg.sshKeyPaths = [ ];
        secrets = lib.genAttrs needed (_: { });
      };
    })
  ];
}
