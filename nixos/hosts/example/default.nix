# A trading host on a dedicated machine of 16 CPUs, ready to copy: change what is marked, add keys, deploy.
{ config, lib, ... }:
let
  # Public keys, as `hlhft deploy keys` writes them.
  keys = lib.importJSON ./keys.json;
  port = name: toString config.services.hlhft.ports.${name};
in
{
  imports = [
    ./disko.nix
    ../../profiles/hetzner-dedicated.nix
    ../../profiles/low-latency.nix
  ];

  networking.hostName = "trader";
  users.users.root.openssh.authorizedKeys.keys = [ keys.operator.ssh ];

  services.hlhft = {
    # change: remove it; a host with the keys below is everybody's
    deployment.example = true;

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

    # change: the folder of your watchtower
    wireguard.peers = {
      operator = {
        publicKey = keys.operator.wireguard;
        address = "10.100.0.10";
        isAdmin = true;
      };
      watchtower = {
        publicKey = (lib.importJSON ../watchtower/keys.json).wireguard;
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
