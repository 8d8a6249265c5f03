{
  base = "full";
  message = "settings.risk.drawdown_share_max";
  option = [
    "services"
    "hlhft"
    "settings"
    "risk"
    "drawdown_share_max"
  ];
  change = {
    services.hlhft.settings.risk.drawdown_share_max = 0.05;
  };
}
