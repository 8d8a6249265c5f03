{
  base = "full";
  message = "authorizedKeys.keys has the placeholder of the examples";
  change =
    { lib, ... }:
    {
      services.hlhft.deployment.example = lib.mkForce false;
    };
}
