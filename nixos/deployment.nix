# What `hlhft deploy` asks of a host before it installs or changes it, and the host's side of a switch that reverts by
# itself. Keys that everybody has are refused here, before anything is built.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hlhft;
  deployment = cfg.deployment;
  examples = map (name: lib.importJSON ./hosts/${name}/keys.json) [
    "example"
    "watchtower"
  ];
  isWorthless = key: lib.any (keys: key == keys.wireguard || key == keys.operator.wireguard) examples;
  worthless = lib.attrNames (
    lib.filterAttrs (_: peer: isWorthless peer.publicKey) cfg.wireguard.peers
  );
  # A key is its kind and itself; what follows is a comment.
  sshKey = text: lib.take 2 (lib.splitString " " text);
  authorized = map sshKey (config.users.users.root.openssh.authorizedKeys.keys or [ ]);
  # The key that reads the examples' secrets lies beside the tests (tests/deploy/worthless-age-key.txt).
  testRecipient = "age1fe3ucedzaemudhsv88z9q7pwwnymuw7zv0mep3flr2rfv4znqeqsaexp84";
  address = cfg.network.ipv4.address;
in
{
  imports = [
    ./network.nix
    ./host.nix
    ./secrets.nix
    ./wireguard.nix
  ];

  options.services.hlhft.deployment = {
    example = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether this host is there to be copied: its keys are everybody's, and it is never installed.";
    };

    address = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = if address == "" then null else address;
      defaultText = lib.literalExpression "network.ipv4.address";
      description = "Where the host is found from outside, by name or address; null: it is said when it is deployed.";
    };

    facts = lib.mkOption {
      type = lib.types.attrsOf lib.types.anything;
      readOnly = true;
      description = "What hlhft deploy reads of this host; it evaluates to plain JSON.";
    };
  };

  config = lib.mkMerge [
    {
      services.hlhft.deployment.facts = {
        inherit (deployment) example address;
        cpus = cfg.host.cpus.count;
        secrets = cfg.secrets.needed;
        sops = cfg.secrets.sopsFile != null;
        wireguard = {
          inherit (cfg.wireguard) address;
          port = cfg.ports.WIREGUARD;
          peers = lib.mapAttrsToList (name: peer: {
            inherit name;
            inherit (peer)
              publicKey
              address
              endpoint
              isAdmin
              ;
          }) cfg.wireguard.peers;
        };
      };
    }
    (lib.mkIf cfg.enable {
      assertions = [
        {
          assertion = deployment.example || worthless == [ ];
          message = "services.hlhft.wireguard.peers: ${lib.concatStringsSep ", " worthless} has a public key of the examples; make keys with hlhft deploy keys, and read them from the host's keys.json.";
        }
        {
          assertion =
            deployment.example || !(lib.any (keys: lib.elem (sshKey keys.operator.ssh) authorized) examples);
          message = "users.users.root.openssh.authorizedKeys.keys has the placeholder of the examples; put your own there.";
        }
        {
          assertion =
            deployment.example
            || cfg.secrets.sopsFile == null
            || !(builtins.pathExists cfg.secrets.sopsFile)
            || !(lib.hasInfix testRecipient (builtins.readFile cfg.secrets.sopsFile));
          message = "services.hlhft.secrets.sopsFile is encrypted to the test key, which everybody has; make secrets with hlhft deploy keys.";
        }
      ];

      environment.etc."hlhft/switch.py".source = ./files/switch.py;
      environment.systemPackages = [
        (pkgs.writeShellApplication {
          name = "hlhft-switch";
          runtimeInputs = [
            pkgs.python3
            pkgs.systemd
            pkgs.nix
          ];
          text = ''exec python3 /etc/hlhft/switch.py "$@"'';
        })
      ];
    })
  ];
}
