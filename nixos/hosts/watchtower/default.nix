# The second host: a small virtual machine elsewhere, with the watchdog alone.
{ config, ... }:
let
  port = name: toString config.services.hlhft.ports.${name};
in
{
  imports = [ ../../profiles/hetzner-cloud.nix ];

  networking.hostName = "watchtower";
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
    host.cpus.count = 2;

    wireguard = {
      address = "10.100.0.2";
      # change: keys of the operator's machine and of the trading host
      peers = {
        operator = {
          publicKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
          address = "10.100.0.10";
          isAdmin = true;
        };
        trader = {
          publicKey = "gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=";
          address = "10.100.0.1";
          endpoint = "203.0.113.10:${port "WIREGUARD"}";
        };
      };
    };

    watchtower.enable = true;
    exporter.enable = true;

    settings = {
      account.network = "testnet";
      # change: the account that trades
      account.address = "0x0000000000000000000000000000000000000001";
      engine.coins = [ "BTC" ];
      metrics.address = "10.100.0.2";
    };
  };
}
