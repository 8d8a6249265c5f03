# What every service of hlhft shares: the switch and the package. It trades nothing by itself.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
in
{
  options.services.hlhft = {
    enable = lib.mkEnableOption "hlhft, market making on Hyperliquid: installs the command line for every user";

    package = lib.mkOption {
      type = lib.types.package;
      description = "The package that every service of hlhft runs; the flake's module sets the flake's own.";
    };

    researchPackage = lib.mkOption {
      type = lib.types.package;
      description = "The package with the libraries of models, for what serves them.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
  };
}
