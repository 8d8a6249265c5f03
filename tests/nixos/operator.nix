# An operator's machine: WireGuard to the trading host, and nothing of hlhft.
{ lib, ... }:
let
  peers = import ./wireguard.nix;
in
{
  networking.firewall.enable = false;
  systemd.tmpfiles.rules = [
    "d /var/lib/wireguard 0700 root root -"
    "f+ /var/lib/wireguard/key 0600 root root - ${peers.operator.own}"
  ];
  networking.wireguard.interfaces.wg0 = {
    ips = [ "${peers.operator.address}/24" ];
    privateKeyFile = "/var/lib/wireguard/key";
    peers = [
      {
        name = "trader";
        inherit (peers.trader) publicKey;
        allowedIPs = [ "${peers.trader.address}/32" ];
        endpoint = "trader:${toString (lib.importJSON ../../nixos/schema.json).ports.WIREGUARD}";
      }
    ];
  };
}
