# A trading host on a dedicated machine of 16 CPUs, ready to copy: change what is marked, add keys, deploy.
{ config, ... }:
let
  port = name: toString config.services.hlhft.ports.${name};
in
{
  imports = [
    ./disko.nix
    ../../profiles/hetzner-dedicated.nix
    ../../profiles/low-latency.nix
  ];

  networking.hostName = "trader";
  users.users.root.openssh.authorizedKeys.keys = [
    # change: yours
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE000000000000000000000000000000000000000000 operator"
  ];

  services.hlhft = {
    # change: as the rescue system shows them
    network = {
      interface = "enp5s0";
      ipv4 = {
        address = "203.0.113.10";
        gateway = "203.0.113.1";
      };
      ipv6 = "2001:db8::10/64";
    };

    # 2 to 7 are for one thread each, 8 to 15 for services of many threads; 0 and 1 keep house.
    host = {
      cpus = {
        count = 16;
        exclusive = "2-7";
        quiet = "8-15";
        network = 0;
        assigned = {
          hlhft-engine = "2";
          hlhft-watchdog = "3";
          hlhft-recorder = "8-9";
        };
      };
      irq = {
        enable = true;
        interface = "enp5s0";
      };
    };

    # Where the files of keys are put, readable by root only; with sops-nix, name sopsFile instead.
    secrets.folder = "/var/lib/hlhft-secrets";

    # change: keys of the operator's machine and of the watchtower
    wireguard.peers = {
      operator = {
        publicKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
        address = "10.100.0.10";
        isAdmin = true;
      };
      watchtower = {
        publicKey = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=";
        address = "10.100.0.2";
        endpoint = "203.0.113.20:${port "WIREGUARD"}";
      };
    };

    engine.enable = true;
    watchdog.enable = true;
    recorder.enable = true;
    exporter.enable = true;
    prometheus.enable = true;
    alertmanager.enable = true;
    grafana.enable = true;

    settings = {
      account.network = "testnet";
      # change: the account that trades
      account.address = "0x0000000000000000000000000000000000000001";
      engine.coins = [ "BTC" ];
      watchdog.remote_heartbeat = "10.100.0.2:${port "HEARTBEAT"}";
      recorder.coins = [ "BTC" ];
    };
  };
}
