{
  base = "full";
  message = "metrics.port is 0";
  change = {
    services.hlhft.settings.metrics.port = 0;
  };
}
