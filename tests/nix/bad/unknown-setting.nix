{
  base = "full";
  message = "settings.engine.coin";
  option = [
    "services"
    "hlhft"
    "settings"
    "engine"
  ];
  change = {
    services.hlhft.settings.engine.coin = "BTC";
  };
}
