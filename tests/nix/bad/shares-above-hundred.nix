{
  base = "full";
  message = "more than 100 percent together";
  change = {
    services.hlhft.settings.limits.share.engine_percent = 90;
  };
}
