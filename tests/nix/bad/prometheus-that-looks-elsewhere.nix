{
  base = "full";
  message = "is not where the written configuration scrapes";
  change = {
    services.hlhft.settings.metrics.port = 9999;
  };
}
