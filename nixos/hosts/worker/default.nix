# A research host: the scheduler of a cluster and workers on all processors but one, with a store on a disk that others
# mount. Copy it without isScheduler for every further host of workers.
{ config, lib, ... }:
let
  # change: the keys.json of your host, as `hlhft deploy keys` writes it
  keys = lib.importJSON ../example/keys.json;
  port = name: toString config.services.hlhft.ports.${name};
in
{
  imports = [ ../../profiles/hetzner-cloud.nix ];

  networking.hostName = "research";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  users.users.root.openssh.authorizedKeys.keys = [ keys.operator.ssh ];

  services.hlhft = {
    # change: remove it; a host with the keys below is everybody's
    deployment.example = true;

    secrets.folder = "/var/lib/hlhft-secrets";
    host.cpus.count = 16;

    wireguard = {
      address = "10.100.0.3";
      # change: keys of the operator's machine and of further hosts of workers; a trading host is none of them
      peers = {
        operator = {
          publicKey = keys.operator.wireguard;
          address = "10.100.0.10";
          isAdmin = true;
        };
        second = {
          publicKey = (lib.importJSON ../watchtower/keys.json).wireguard;
          address = "10.100.0.4";
          endpoint = "203.0.113.40:${port "WIREGUARD"}";
        };
      };
    };

    worker = {
      enable = true;
      isScheduler = true;
      processes = 15;
      folders = [ "/mnt/hlhft" ];
    };
  };

  systemd.tmpfiles.rules = [ "d /mnt/hlhft 2770 root hlhft -" ];
}
