# A research host: the scheduler of a cluster and workers on all processors but one, with a store on a disk that others
# mount. Copy it without isScheduler for every further host of workers.
{ config, ... }:
let
  port = name: toString config.services.hlhft.ports.${name};
in
{
  imports = [ ../../profiles/hetzner-cloud.nix ];

  networking.hostName = "research";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  users.users.root.openssh.authorizedKeys.keys = [
    # change: yours
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE000000000000000000000000000000000000000000 operator"
  ];

  services.hlhft = {
    secrets.folder = "/var/lib/hlhft-secrets";
    host.cpus.count = 16;

    wireguard = {
      address = "10.100.0.3";
      # change: keys of the operator's machine and of further hosts of workers; a trading host is none of them
      peers = {
        operator = {
          publicKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
          address = "10.100.0.10";
          isAdmin = true;
        };
        second = {
          publicKey = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";
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
