{
  base = "full";
  message = "starves its CPU";
  change = {
    services.hlhft = {
      engine.realtime = true;
      settings.engine.busy_poll = true;
    };
  };
}
