# The whole appliance: it boots with the embedded exchange, trades, and is watched over WireGuard, where alone it is reached.
{
  self,
  pkgs,
  checking,
  ...
}:
let
  peers = import ./wireguard.nix;
in
{
  name = "hlhft-appliance";

  nodes.trader = {
    imports = [
      (import ./trading.nix { inherit self pkgs; })
      self.nixosModules.firewall
    ];
    services.hlhft = {
      firewall.enable = true;
      wireguard = {
        enable = true;
        peers.operator = {
          inherit (peers.operator) publicKey address;
          isAdmin = true;
        };
      };
      prometheus.enable = true;
      alertmanager.enable = true;
      grafana.enable = true;
    };
  };

  nodes.operator = {
    imports = [ ./operator.nix ];
    environment.systemPackages = [ pkgs.curl ];
  };

  testScript =
    { nodes, ... }:
    checking "appliance" [ "trader" "operator" ] {
      inherit (nodes.trader.services.hlhft) ports;
      inherit (peers.trader) address;
      account = nodes.trader.services.hlhft.settings.account.address;
      uplink = nodes.trader.networking.primaryIPAddress;
    };
}
