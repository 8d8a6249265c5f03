# For VM tests: the whole appliance on paper money, with the embedded exchange, without a network of its own.
{ lib, ... }:
{
  imports = [
    ../engine.nix
    ../exchange.nix
    ../exporter.nix
  ];

  services.hlhft = {
    enable = true;
    exchange.enable = true;
    engine.enable = true;
    watchdog.enable = true;
    exporter.enable = true;
    host.cpus.count = lib.mkDefault 4;
    secrets.folder = lib.mkDefault "/var/lib/hlhft-secrets";
    settings = {
      account.network = "local";
      engine.coins = lib.mkDefault [ "BTC" ];
    };
  };
}
