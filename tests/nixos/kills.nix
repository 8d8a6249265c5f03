# The engine is killed: the watchdog cancels for it, and a new engine goes on.
{
  self,
  pkgs,
  checking,
  ...
}:
{
  name = "hlhft-kills";

  nodes.machine = import ./trading.nix { inherit self pkgs; };

  testScript =
    { nodes, ... }:
    checking "kills" [ "machine" ] {
      inherit (nodes.machine.services.hlhft) ports;
      account = nodes.machine.services.hlhft.settings.account.address;
      silence_ms = nodes.machine.services.hlhft.settings.watchdog.silence_ms_max;
    };
}
