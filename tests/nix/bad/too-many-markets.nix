{
  base = "full";
  message = "settings.engine.coins";
  option = [
    "services"
    "hlhft"
    "settings"
    "engine"
    "coins"
  ];
  change =
    { lib, ... }:
    {
      services.hlhft.settings.engine.coins = lib.genList toString 65;
    };
}
