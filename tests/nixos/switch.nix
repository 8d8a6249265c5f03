# The system is switched to other settings and back while the engine quotes: its orders are its own all along, and engine and
# watchdog are never away together.
{
  self,
  lib,
  pkgs,
  checking,
}:
{
  name = "hlhft-switch";

  nodes.machine = import ./trading.nix { inherit self pkgs; };

  # Another generation of the same host, for engine and watchdog both; never booted itself.
  nodes.changed = {
    imports = [ (import ./trading.nix { inherit self pkgs; }) ];
    networking.hostName = lib.mkForce "machine";
    services.hlhft.settings.batch.requote_bp_min = lib.mkForce 2.5;
  };

  testScript =
    { nodes, ... }:
    checking "switch" [ "machine" ] {
      inherit (nodes.machine.services.hlhft) ports;
      account = nodes.machine.services.hlhft.settings.account.address;
      changed = "${nodes.changed.system.build.toplevel}";
    };
}
