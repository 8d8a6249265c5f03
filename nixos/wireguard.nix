# WireGuard: the one way in. Operators and the other hosts of the appliance are its peers.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  wg = cfg.wireguard;
  peers = lib.attrValues wg.peers;
in
{
  imports = [
    ./settings.nix
    ./secrets.nix
  ];

  options.services.hlhft.wireguard = {
    enable = lib.mkEnableOption "WireGuard as wg0, over which alone the host is administered and watched";

    address = lib.mkOption {
      type = lib.types.strMatching "([0-9]{1,3}\\.){3}[0-9]{1,3}";
      default = "10.100.0.1";
      description = "This host's address inside.";
    };

    network = lib.mkOption {
      type = lib.types.str;
      default = "10.100.0.0/24";
      description = "All addresses inside; services that serve answer these and loopback only.";
    };

    peers = lib.mkOption {
      default = { };
      description = "Who may come in, by name.";
      type = lib.types.attrsOf (
        lib.types.submodule {
          options = {
            publicKey = lib.mkOption {
              type = lib.types.strMatching "[A-Za-z0-9+/]{43}=";
              description = "Its public key, as `wg pubkey` prints it.";
            };
            address = lib.mkOption {
              type = lib.types.strMatching "([0-9]{1,3}\\.){3}[0-9]{1,3}";
              description = "Its address inside.";
            };
            endpoint = lib.mkOption {
              type = lib.types.nullOr lib.types.str;
              default = null;
              description = "Where it is found, host:port; null for one that comes by itself.";
            };
            isAdmin = lib.mkOption {
              type = lib.types.bool;
              default = false;
              description = "Whether an operator sits there.";
            };
          };
        }
      );
    };
  };

  config = lib.mkIf (cfg.enable && wg.enable) {
    assertions = [
      {
        assertion = lib.any (peer: peer.isAdmin) peers;
        message = "services.hlhft.wireguard.peers has no peer with isAdmin: nobody could reach this host.";
      }
      {
        assertion = lib.allUnique (map (peer: peer.address) peers ++ [ wg.address ]);
        message = "services.hlhft.wireguard: two hosts have one address inside; give each its own.";
      }
      {
        assertion = lib.allUnique (map (peer: peer.publicKey) peers);
        message = "services.hlhft.wireguard.peers: two peers have one key; make each a pair of its own.";
      }
    ];

    services.hlhft.secrets.host = [ "wireguard-key" ];
    networking.wireguard.interfaces.wg0 = {
      ips = [ "${wg.address}/24" ];
      listenPort = cfg.ports.WIREGUARD;
      privateKeyFile = "${cfg.secrets.folder}/wireguard-key";
      peers = lib.mapAttrsToList (
        name: peer:
        {
          inherit name;
          inherit (peer) publicKey;
          allowedIPs = [ "${peer.address}/32" ];
        }
        // lib.optionalAttrs (peer.endpoint != null) {
          inherit (peer) endpoint;
          persistentKeepalive = 25;
        }
      ) wg.peers;
    };

    # What listens on an address inside may start before wg0 is up, whichever of NixOS's ways makes it.
    boot.kernel.sysctl."net.ipv4.ip_nonlocal_bind" = 1;
  };
}
