{
  base = "full";
  message = "sopsFile is encrypted to the test key";
  change =
    { lib, ... }:
    {
      services.hlhft.deployment.example = lib.mkForce false;
    };
}
