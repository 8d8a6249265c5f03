{
  base = "full";
  message = "recorder could ask nothing";
  change = {
    services.hlhft.settings.limits.share.recorder_percent = 0;
  };
}
