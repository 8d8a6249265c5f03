{
  base = "full";
  message = "on loopback or on this host's WireGuard address only";
  change = {
    services.hlhft.settings.metrics.address = "203.0.113.10";
  };
}
