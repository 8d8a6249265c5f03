{
  base = "full";
  message = "settings.watchdog.silence_ms_max";
  option = [
    "services"
    "hlhft"
    "settings"
    "watchdog"
    "silence_ms_max"
  ];
  change = {
    services.hlhft.settings.watchdog.silence_ms_max = "1500";
  };
}
