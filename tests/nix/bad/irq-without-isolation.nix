{
  base = "paper";
  message = "has nothing to keep free";
  change = {
    services.hlhft.host.irq = {
      enable = true;
      interface = "eth0";
    };
  };
}
