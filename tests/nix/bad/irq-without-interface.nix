{
  base = "full";
  message = "irq.interface is not set";
  change =
    { lib, ... }:
    {
      services.hlhft.host.irq.interface = lib.mkForce "";
    };
}
