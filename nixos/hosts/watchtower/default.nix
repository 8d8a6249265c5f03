# The second host: a small virtual machine elsewhere, with the watchdog alone.
{ config, lib, ... }:
let
  # Public keys, as `hlhft deploy keys` writes them.
  keys = lib.importJSON ./keys.json;
  port = name: toString config.services.hlhft.ports.${name};
in
{
  imports = [ ../../profiles/hetzner-cloud.nix ];

  networking.hostName = "watchtower";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  users.users.root.openssh.authorizedKeys.keys = [ keys.operator.ssh ];

  services.hlhft = {
    # change: remove it; a host with the keys below is everybody's
    deployment.example = true;

    host.cpus.count = 2;

    wireguard = {
      address = "10.100.0.2";
      # change: the folder of your trading host
      peers = {
        operator = {
          publicKey = keys.operator.wireguard;
          address = "10.100.0.10";
          isAdmin = true;
        };
        trader = {
          publicKey = (lib.importJSON ../example/keys.json).wireguard;
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
