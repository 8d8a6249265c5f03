{
  base = "full";
  message = "has nothing to show";
  change =
    { lib, ... }:
    {
      services.hlhft.prometheus.enable = lib.mkForce false;
    };
}
