{
  base = "full";
  message = "a service that does not run here";
  change = {
    services.hlhft.host.cpus.assigned.prometheus = "8";
  };
}
