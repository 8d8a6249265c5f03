# Secrets reach the units that need them and nobody else: no other user, no command line, no log, and no file of the system.
{
  self,
  pkgs,
  checking,
  ...
}:
{
  name = "hlhft-secrets";

  nodes.machine = {
    imports = [ (import ./trading.nix { inherit self pkgs; }) ];
    users.users.somebody.isNormalUser = true;
  };

  testScript =
    { nodes, ... }:
    checking "secrets" [ "machine" ] {
      inherit (nodes.machine.services.hlhft.secrets) folder units;
    };
}
