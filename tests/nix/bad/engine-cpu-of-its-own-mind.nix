{
  base = "full";
  message = "is not the CPU of host.cpus.assigned.hlhft-engine";
  change = {
    services.hlhft.settings.engine.cpu = 4;
  };
}
