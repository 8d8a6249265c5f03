# The trading host is lost at once, engine and watchdog: the watchtower, on another host, cancels for it.
{
  self,
  lib,
  pkgs,
  checking,
}:
let
  peers = import ./wireguard.nix;
  inherit ((lib.importJSON ../../nixos/schema.json)) ports rehearsal;
  venue = "http://venue:${toString ports.PAPER_EXCHANGE}";
  trading = import ./trading.nix { inherit self pkgs; };
  peer = name: {
    inherit (peers.${name}) publicKey address;
    endpoint = "${name}:${toString ports.WIREGUARD}";
    isAdmin = true;
  };
in
{
  name = "hlhft-host-loss";

  # The exchange on a host of its own, as the venue is.
  nodes.venue = {
    imports = [ trading ];
    networking.firewall.allowedTCPPorts = [ ports.PAPER_EXCHANGE ];
    services.hlhft = {
      exchange.arguments = [
        "--host"
        "0.0.0.0"
      ];
      engine.enable = lib.mkForce false;
      watchdog.enable = lib.mkForce false;
      exporter.enable = lib.mkForce false;
      # Their wallets are approved there.
      secrets.host = [
        "agent-key"
        "watchdog-key"
        "watchtower-key"
      ];
    };
    systemd.services.hlhft-exchange.serviceConfig.IPAddressDeny = lib.mkForce "";
  };

  nodes.trader =
    { ... }:
    {
      imports = [
        trading
        self.nixosModules.wireguard
      ];
      networking.firewall.allowedUDPPorts = [ ports.WIREGUARD ];
      services.hlhft = {
        exchange.enable = lib.mkForce false;
        wireguard = {
          enable = true;
          peers.watchtower = peer "watchtower";
        };
        settings = {
          account = {
            inherit (rehearsal) address;
            base_url = venue;
          };
          watchdog.remote_heartbeat = "${peers.watchtower.address}:${toString ports.HEARTBEAT}";
        };
      };
    };

  nodes.watchtower =
    { ... }:
    {
      imports = [
        self.nixosModules.default
        ./secrets-for-tests.nix
      ];
      networking.firewall.allowedUDPPorts = [ ports.WIREGUARD ];
      services.hlhft = {
        enable = true;
        watchtower.enable = true;
        wireguard = {
          enable = true;
          inherit (peers.watchtower) address;
          peers.trader = peer "trader";
        };
        settings.account = {
          network = "local";
          inherit (rehearsal) address;
          base_url = venue;
        };
      };
    };

  testScript =
    { nodes, ... }:
    checking "host_loss" [ "venue" "trader" "watchtower" ] {
      inherit ports;
      inherit (rehearsal) address;
      inherit (nodes.venue.services.hlhft.secrets) folder;
    };
}
