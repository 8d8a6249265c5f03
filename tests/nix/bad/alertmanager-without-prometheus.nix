{
  base = "full";
  message = "is told by nobody";
  change =
    { lib, ... }:
    {
      services.hlhft.prometheus.enable = lib.mkForce false;
    };
}
