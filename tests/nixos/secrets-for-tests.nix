# Every secret of a host that a test boots, where its modules look for it: made up, but for WireGuard's key.
{ config, lib, ... }:
let
  cfg = config.services.hlhft.secrets;
  peers = import ./wireguard.nix;
  names = lib.unique (cfg.host ++ lib.concatLists (lib.attrValues cfg.units));
  contentOf =
    name:
    if name == "wireguard-key" then
      peers.trader.own
    else
      builtins.hashString "sha256" "hlhft, a test's ${name}";
in
{
  services.hlhft.secrets.folder = "/var/lib/hlhft-secrets";
  systemd.tmpfiles.rules = [
    "d ${cfg.folder} 0700 root root -"
  ]
  ++ map (name: "f+ ${cfg.folder}/${name} 0600 root root - ${contentOf name}") names;
}
