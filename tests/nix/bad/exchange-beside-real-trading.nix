{
  base = "full";
  message = "has no place on a host that trades elsewhere";
  change = {
    services.hlhft.exchange.enable = true;
  };
}
