# No update comes by itself: a host that trades changes when somebody says so, and looks on.
{ config, lib, ... }:
{
  imports = [ ./package.nix ];

  config = lib.mkIf config.services.hlhft.enable {
    assertions = [
      {
        assertion = !(config.system.autoUpgrade.enable or false);
        message = "system.autoUpgrade.enable is on: an update that nobody watches restarts an engine that trades; deploy it by hand.";
      }
      {
        assertion = !(config.nix.gc.automatic && lib.hasInfix "delete-old" config.nix.gc.options);
        message = "nix.gc deletes old generations by itself: then there is none to roll back to; delete them by hand.";
      }
    ];
  };
}
