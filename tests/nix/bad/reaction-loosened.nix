{
  base = "full";
  message = "settings.risk.tick_to_trade_ms_max";
  option = [
    "services"
    "hlhft"
    "settings"
    "risk"
    "tick_to_trade_ms_max"
  ];
  change = {
    services.hlhft.settings.risk.tick_to_trade_ms_max = 500;
  };
}
