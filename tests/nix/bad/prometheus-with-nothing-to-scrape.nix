{
  base = "full";
  message = "has nothing to scrape";
  change =
    { lib, ... }:
    {
      services.hlhft.exporter.enable = lib.mkForce false;
    };
}
